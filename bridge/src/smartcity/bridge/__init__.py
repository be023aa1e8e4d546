"""The bridge: MQTT to Kafka. A message passes inbound, decode, check, record, outbound, ledger, receipts."""
