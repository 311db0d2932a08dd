"""The web page of `zoo web`: what it does, without gradio, and how it looks, with it."""
