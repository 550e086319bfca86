"""Published descriptions of the calls: OpenAPI, XML Schema and the page that renders them."""
