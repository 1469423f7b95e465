/*
 * Copyright 2026 The shop example authors.
 * SPDX-License-Identifier: Apache-2.0
 */
package com.example.shop.product;

import java.util.List;
import org.springframework.stereotype.Service;

@Service
public class ProductService {

    private static final int PAGE = 50;

    private final ProductRepository repository;

    public ProductService(ProductRepository repository) {
        this.repository = repository;
    }

    public List<Product> page(int page) {
        return repository.findAll(page * PAGE, PAGE);
    }

    public List<Product> matching(String words, int page) {
        String pattern = words.strip().toLowerCase();
        return pattern.isEmpty() ? page(page) : repository.findByName(pattern, page * PAGE, PAGE);
    }

    public Product require(String productId) {
        return repository.find(productId).orElseThrow(() -> new UnknownProductException(productId));
    }

    public Product offer(Product product) {
        if (repository.find(product.id()).isPresent()) {
            throw new IllegalArgumentException("product " + product.id() + " is already offered");
        }
        return repository.save(product);
    }

    public Product reprice(String productId, Price price) {
        // Write your code here
        return null;
    }
}
