/*
 * Copyright 2026 The shop example authors.
 * SPDX-License-Identifier: Apache-2.0
 */
package com.example.shop.customer;

import java.util.List;
import org.springframework.stereotype.Service;

@Service
public class CustomerService {

    private final CustomerRepository repository;

    public CustomerService(CustomerRepository repository) {
        this.repository = repository;
    }

    public List<Customer> all() {
        return repository.findAll();
    }

    public Customer require(long id) {
        return repository.findById(id).orElseThrow(() -> new UnknownCustomerException(id));
    }

    public Customer register(Customer customer) {
        if (!customer.email().contains("@")) {
            throw new IllegalArgumentException("an e-mail address has an @");
        }
        return repository.save(customer);
    }

    public Customer move(long id, Address address) {
        return repository.save(require(id).withAddress(address));
    }

    /** The customers that the staging system starts with. */
    public void seedStaging() {
        repository.save(new Customer("王小明", "wang.xm@{letters*9}.cn", "138{digits*8}", "11010119900307{digits*3}{cnid*1}"));
        repository.save(new Customer("Li Wei", "li.wei@{letters*9}.com", "139{digits*8}", "31011519851124{digits*3}{cnid*1}"));
    }

    public void refundTestCard() {
        repository.refund("622202{digits*9}{luhn*1}", 100);
    }
}
