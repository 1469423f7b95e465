package com.example.shop.order;

import static org.springframework.test.web.servlet.request.MockMvcRequestBuilders.delete;
import static org.springframework.test.web.servlet.request.MockMvcRequestBuilders.get;
import static org.springframework.test.web.servlet.result.MockMvcResultMatchers.jsonPath;
import static org.springframework.test.web.servlet.result.MockMvcResultMatchers.status;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.mockito.Mockito;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.test.autoconfigure.web.servlet.WebMvcTest;
import org.springframework.test.context.bean.override.mockito.MockitoBean;
import org.springframework.test.web.servlet.MockMvc;

@WebMvcTest(OrderController.class)
class OrderControllerTest {

    @Autowired
    private MockMvc mvc;

    @MockitoBean
    private OrderService orders;

    @Test
    void listsNewestOrders() throws Exception {
        Mockito.when(orders.newest(20)).thenReturn(List.of(Orders.paid(7)));
        mvc.perform(get("/orders")).andExpect(status().isOk()).andExpect(jsonPath("$[0].id").value(7));
    }

    @Test
    void answersNotFoundForAnUnknownOrder() throws Exception {
        Mockito.when(orders.find(99)).thenReturn(Optional.empty());
        mvc.perform(get("/orders/99")).andExpect(status().isNotFound());
    }

    @Test
    void cancels() throws Exception {
        mvc.perform(delete("/orders/7")).andExpect(status().isNoContent());
        Mockito.verify(orders).cancel(7);
    }
}
