package com.example.shop.order;

import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class CheckoutFlowTest {

    @Test
    void fromCartToConfirmation() {
        assertTrue(Shop.start().cart("cup-1").checkout().isConfirmed());
    }
}
