"""The exports of products, one file each: how each looks, and whose words are in it."""
