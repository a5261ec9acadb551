"""Reading of tables, rows and numbers in every form that users have them."""
