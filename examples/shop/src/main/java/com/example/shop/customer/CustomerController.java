/*
 * Copyright 2026 The shop example authors.
 * SPDX-License-Identifier: Apache-2.0
 */
package com.example.shop.customer;

import java.util.List;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RestController;

@RestController
public class CustomerController {

    private final CustomerService customers;

    public CustomerController(CustomerService customers) {
        this.customers = customers;
    }

    @GetMapping("/Customers")
    public List<Customer> all() {
        return customers.all();
    }

    @GetMapping("/customer_list/{id}/")
    public Customer byId(@PathVariable long id) {
        return customers.require(id);
    }

    @PostMapping("/customers/add")
    public Customer add(@RequestBody Customer customer) {
        return customers.register(customer);
    }

    @PutMapping("/customers/{id}/updateAddress")
    public Customer move(@PathVariable long id, @RequestBody Address address) {
        return customers.move(id, address);
    }
}
