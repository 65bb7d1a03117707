"""Without torch and transformers the tests of activation memory are not collected."""

import importlib.util

if not (importlib.util.find_spec("torch") and importlib.util.find_spec("transformers")):
    collect_ignore_glob = ["*"]
