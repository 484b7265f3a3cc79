// MQTT 5: the response comes to a topic of our own, with the data that we sent along.
const asked = String(Date.now());
flow.set("asked", asked);
return {
    _client: msg._client,
    topic: "request/position",
    payload: {},
    responseTopic: "reply/node-red/position",
    correlationData: Buffer.from(asked),
};
