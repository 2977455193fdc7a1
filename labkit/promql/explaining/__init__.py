"""What explains a query: sentences, sizes, and the mistakes that it may hold."""
