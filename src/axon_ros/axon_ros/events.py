# SPDX-License-Identifier: Apache-2.0
"""Publishers and subscriptions without rclpy's default event callbacks.

Each of those is one more entity that the executor waits for, at every turn; what they would say, `Input.watch` says.
"""

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # the name of the module in Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks


def no_publisher_events() -> PublisherEventCallbacks:
    """Return the argument `event_callbacks` of create_publisher."""
    return PublisherEventCallbacks(use_default_callbacks=False)


def no_subscription_events() -> SubscriptionEventCallbacks:
    """Return the argument `event_callbacks` of create_subscription."""
    return SubscriptionEventCallbacks(use_default_callbacks=False)
