package com.example.shop.util;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TextsTest {

    @ParameterizedTest
    @CsvSource({"Hello World, hello-world", "Crème brûlée, creme-brulee", "'', ''"})
    void slugsAreLowerCaseWords(String title, String slug) {
        assertEquals(slug, Texts.slug(title));
    }
}
