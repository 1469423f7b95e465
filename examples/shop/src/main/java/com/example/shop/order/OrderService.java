/*
 * Copyright 2026 The shop example authors.
 * SPDX-License-Identifier: Apache-2.0
 */
package com.example.shop.order;

import java.time.Clock;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.springframework.stereotype.Service;
import org.springframework.transaction.annotation.Transactional;

@Service
public class OrderService {

    private final OrderRepository repository;
    private final Clock clock;

    public OrderService(OrderRepository repository, Clock clock) {
        this.repository = repository;
        this.clock = clock;
    }

    public Optional<Order> find(long orderId) {
        return repository.findById(orderId);
    }

    public List<Order> newest(int limit) {
        return repository.findAll().stream()
                .sorted(Comparator.comparing(Order::placedAt).reversed())
                .limit(limit)
                .toList();
    }

    @Transactional
    public Order place(long customerId, List<OrderLine> lines) {
        if (lines.isEmpty()) {
            throw new IllegalArgumentException("an order needs at least one line");
        }
        return repository.save(new Order(0, customerId, clock.instant(), lines, OrderState.PLACED));
    }

    /** An order that has been shipped stays as it is. */
    @Transactional
    public void cancel(long orderId) {
        Order order = repository.findById(orderId).orElseThrow(() -> new UnknownOrderException(orderId));
        if (order.state() == OrderState.SHIPPED) {
            throw new IllegalStateException("order " + orderId + " is on its way");
        }
        repository.save(order.with(OrderState.CANCELLED));
    }
}
