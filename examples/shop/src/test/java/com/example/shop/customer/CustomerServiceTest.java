package com.example.shop.customer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class CustomerServiceTest {

    private final CustomerService service = new CustomerService(new CustomersInMemory());

    @Test
    void registersWithAnEmailAddress() {
        Customer customer = service.register(new Customer("Ann", "ann@example.com", "", ""));
        assertEquals("Ann", service.require(customer.id()).name());
    }

    @Test
    void refusesAnAddressWithoutAt() {
        assertThrows(IllegalArgumentException.class, () -> service.register(new Customer("Ann", "ann", "", "")));
    }
}
