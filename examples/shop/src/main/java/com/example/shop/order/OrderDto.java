/*
 * Copyright 2026 The shop example authors.
 * SPDX-License-Identifier: Apache-2.0
 */
package com.example.shop.order;

import java.util.List;

public record OrderDto(long id, long customerId, List<OrderLine> lines, String state) {

    public static OrderDto of(Order order) {
        return new OrderDto(order.id(), order.customerId(), order.lines(), order.state().name());
    }

    public int pieces() {
        return lines.stream().mapToInt(OrderLine::quantity).sum();
    }
}
