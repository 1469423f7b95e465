package com.example.shop.product;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.mockito.Mockito;

class ProductControllerTest {

    private final ProductService products = Mockito.mock(ProductService.class);
    private final ProductController controller = new ProductController(products);

    @Test
    void passesTheWordsOn() {
        controller.matching("blue cup", 0);
        Mockito.verify(products).matching("blue cup", 0);
    }

    @Test
    void findsOne() {
        Product cup = new Product("cup-1", "Cup");
        Mockito.when(products.require("cup-1")).thenReturn(cup);
        assertEquals(cup, controller.one("cup-1"));
    }
}
