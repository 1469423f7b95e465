/*
 * Copyright 2026 The shop example authors.
 * SPDX-License-Identifier: Apache-2.0
 */
package com.example.shop.product;

import java.util.List;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

@RestController
@RequestMapping("/products")
public class ProductController {

    private final ProductService products;

    public ProductController(ProductService products) {
        this.products = products;
    }

    @GetMapping
    public List<Product> matching(@RequestParam(required = false) String words, @RequestParam(defaultValue = "0") int page) {
        return words == null ? products.page(page) : products.matching(words, page);
    }

    @GetMapping("/{productId}")
    public Product one(@PathVariable String productId) {
        return products.require(productId);
    }

    @PostMapping
    @ResponseStatus(HttpStatus.CREATED)
    public Product offer(@RequestBody Product product) {
        return products.offer(product);
    }

    @PutMapping("/{productId}/price")
    public Product reprice(@PathVariable String productId, @RequestBody Price price) {
        return products.reprice(productId, price);
    }
}
