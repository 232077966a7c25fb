# SPDX-License-Identifier: Apache-2.0
import sys

try:
    from axon_demo.demo import main

    sys.exit(main())
except KeyboardInterrupt:  # before the drive, or while its report and film are made
    print("\naxon demo: interrupted", file=sys.stderr)
    sys.exit(130)
