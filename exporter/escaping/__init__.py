"""Text that anybody chose, spelt for the language it is put into: one module a language, or a family of them."""
