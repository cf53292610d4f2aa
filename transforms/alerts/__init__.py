"""How alerts are told: message, outbox, couriers; what `Notify` is wired of."""
