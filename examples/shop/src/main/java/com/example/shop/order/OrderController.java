/*
 * Copyright 2026 The shop example authors.
 * SPDX-License-Identifier: Apache-2.0
 */
package com.example.shop.order;

import java.net.URI;
import java.util.List;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** Orders of the customer who is logged in. */
@RestController
@RequestMapping("/orders")
public class OrderController {

    private final OrderService orders;

    public OrderController(OrderService orders) {
        this.orders = orders;
    }

    /** Newest first, at most {@code limit} of them. */
    @GetMapping
    public List<OrderDto> recent(@RequestParam(defaultValue = "20") int limit) {
        return orders.newest(limit).stream().map(OrderDto::of).toList();
    }

    @GetMapping("/{orderId}")
    public ResponseEntity<OrderDto> find(@PathVariable long orderId) {
        return orders.find(orderId)
                .map(OrderDto::of)
                .map(ResponseEntity::ok)
                .orElseGet(() -> ResponseEntity.notFound().build());
    }

    @PostMapping
    public ResponseEntity<OrderDto> place(@RequestBody OrderDto wanted) {
        Order placed = orders.place(wanted.customerId(), wanted.lines());
        return ResponseEntity.created(URI.create("/orders/" + placed.id())).body(OrderDto.of(placed));
    }

    @DeleteMapping("/{orderId}")
    public ResponseEntity<Void> cancel(@PathVariable long orderId) {
        orders.cancel(orderId);
        return ResponseEntity.noContent().build();
    }
}
