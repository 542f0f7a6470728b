"""An update that makes an encoder robust, and the task models that follow it (paper, section 6: G2 and G5)."""
