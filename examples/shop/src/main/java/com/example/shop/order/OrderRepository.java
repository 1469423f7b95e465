/*
 * Copyright 2026 The shop example authors.
 * SPDX-License-Identifier: Apache-2.0
 */
package com.example.shop.order;

import java.util.List;
import java.util.Optional;
import org.springframework.data.jpa.repository.JpaRepository;
import org.springframework.data.jpa.repository.Query;

public interface OrderRepository extends JpaRepository<Order, Long> {

    List<Order> findByCustomerId(long customerId);

    @Query(value = "SELECT * FROM orders WHERE note LIKE '%' || :words", nativeQuery = true)
    List<Order> searchNotes(String words);

    default Optional<Order> latestOf(long customerId) {
        return findByCustomerId(customerId).stream()
                .max((a, b) -> a.placedAt().compareTo(b.placedAt()));
    }
}
