// The broker keeps the printer's topics even if nobody updates them any more. This node
// forgets what is no longer true, and sends on what is, as one object.
const heard = context.get("heard") || {};
if (msg.status) heard.connected = msg.status.fill === "green";
else heard[msg.topic.slice("printer/".length)] = msg.payload;
const gone = !heard.connected || heard.availability !== "online";
if (!heard.connected || heard.availability === "offline") {
    for (const topic of Object.keys(heard)) {
        if (topic !== "connected") delete heard[topic];
    }
}
context.set("heard", heard);
const printer = !gone && heard.connection === "online";
const reach = !heard.connected ? "broker" : gone ? "bridge" : printer ? "all" : "printer";
flow.set("reach", reach);
return {
    payload: {
        reach,
        state: heard.state || null,
        error: heard.error || null,
        job: (printer && heard["job/state"]) || null,
        result: heard["job/result"] || null,
        temperature: (printer && heard.temperature) || null,
    },
};
