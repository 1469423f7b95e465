package com.example.shop.order;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.math.BigDecimal;
import java.util.List;
import org.junit.jupiter.api.Test;

class ReturnTotalsTest {

    private final ReturnTotals totals = new ReturnTotals(new BigDecimal("0.19"), new BigDecimal("50"));

    @Test
    void discountLowersTheNetPrice() {
        OrderLine line = new OrderLine("cup", 2, new BigDecimal("10.00"), 25);
        assertEquals(new BigDecimal("15.00"), totals.net(List.of(line)));
    }

    @Test
    void shippingIsFreeFromTheLimitOn() {
        OrderLine line = new OrderLine("table", 1, new BigDecimal("50.00"), 0);
        assertEquals(BigDecimal.ZERO, totals.shipping(List.of(line)));
    }

    @Test
    void taxIsRoundedHalfEven() {
        OrderLine line = new OrderLine("pen", 1, new BigDecimal("0.60"), 0);
        assertEquals(new BigDecimal("0.11"), totals.tax(List.of(line)));
    }
}
