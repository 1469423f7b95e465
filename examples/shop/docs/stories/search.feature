Feature: Search for products

  As a visitor
  I want to search for products by words
  so that I find what I need without knowing its name

  Scenario: Some products match
    Given the shop offers "Blue cup" and "Blue plate"
    When the visitor searches for "blue"
    Then both products are listed

  Scenario: Nothing matches
    Given the shop offers no product with "harpsichord" in its name
    When the visitor searches for "harpsichord"
    Then the page says that nothing was found and offers the categories

  Scenario: The search is empty
    Given the search page
    When the visitor sends it without words
    Then the page asks for at least one word
