"""People's labels: judges held against them."""
