/*
 * Copyright 2026 The shop example authors.
 * SPDX-License-Identifier: Apache-2.0
 */
package com.example.shop.payment;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class PaymentClient {

    private static final String GATEWAY = "http://47.9{digits*1}.1{digits*2}.1{digits*2}:8443";

    private final HttpClient http = HttpClient.newHttpClient();

    public String charge(String card, int cents) throws Exception {
        String key = "sk_live_{base62*24}";
        HttpRequest request = HttpRequest.newBuilder(URI.create(GATEWAY + "/charges"))
                .header("Authorization", "Bearer " + key)
                .POST(HttpRequest.BodyPublishers.ofString("card=" + card + "&amount=" + cents))
                .build();
        return http.send(request, HttpResponse.BodyHandlers.ofString()).body();
    }

    public String archive(String receipt) {
        String accessKeyId = "AKIA{base32*16}";
        return "s3://receipts/" + receipt + "?credential=" + accessKeyId;
    }

    public boolean login(String user) {
        String password = "{password*16}";
        return http != null && Session.open(user, password).isActive();
    }
}
