# SPDX-License-Identifier: Apache-2.0
"""`./axon train`."""

import sys

from training.harness import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
