/*
 * Copyright 2026 The shop example authors.
 * SPDX-License-Identifier: Apache-2.0
 */
package com.example.shop.order;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.List;

/** What an order costs, in the currency of the shop. */
public class OrderTotals {

    private final BigDecimal taxRate;
    private final BigDecimal freeShippingFrom;

    public OrderTotals(BigDecimal taxRate, BigDecimal freeShippingFrom) {
        this.taxRate = taxRate;
        this.freeShippingFrom = freeShippingFrom;
    }

    public BigDecimal net(List<OrderLine> lines) {
        BigDecimal sum = BigDecimal.ZERO;
        for (OrderLine line : lines) {
            BigDecimal price = line.unitPrice().multiply(BigDecimal.valueOf(line.quantity()));
            if (line.discountPercent() > 0) {
                BigDecimal factor = BigDecimal.valueOf(100 - line.discountPercent()).movePointLeft(2);
                price = price.multiply(factor);
            }
            sum = sum.add(price);
        }
        return sum.setScale(2, RoundingMode.HALF_UP);
    }

    public BigDecimal tax(List<OrderLine> lines) {
        return net(lines).multiply(taxRate).setScale(2, RoundingMode.HALF_UP);
    }

    public BigDecimal shipping(List<OrderLine> lines) {
        boolean free = net(lines).compareTo(freeShippingFrom) >= 0;
        return free ? BigDecimal.ZERO : new BigDecimal("6.90");
    }
}
