package com.example.shop.order;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.time.Clock;
import java.util.List;
import org.junit.jupiter.api.Test;

class OrderServiceTests {

    private final OrderService service = new OrderService(new OrdersInMemory(), Clock.systemUTC());

    @Test
    void refusesAnEmptyOrder() {
        assertThrows(IllegalArgumentException.class, () -> service.place(1, List.of()));
    }

    @Test
    void aShippedOrderCannotBeCancelled() {
        Order shipped = service.place(1, List.of(Orders.line(2))).with(OrderState.SHIPPED);
        assertThrows(IllegalStateException.class, () -> service.cancel(shipped.id()));
    }

    @Test
    void newestComesFirst() {
        service.place(1, List.of(Orders.line(1)));
        Order second = service.place(1, List.of(Orders.line(1)));
        assertEquals(second.id(), service.newest(1).get(0).id());
    }
}
