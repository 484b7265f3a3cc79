// Sends a command, or says at once that it cannot be sent. The response comes to the node
// "what was not done"; if there is none, ask whether the bridge is still there.
const WAIT = 5000; // milliseconds
const reach = flow.get("reach") || "broker";
const command = (msg.payload && msg.payload.command) || msg.topic;
const words = String(command).replace("request/", "").replace(/_/g, " ");
const stop = msg.topic === "emergency";
const name = stop ? "Emergency stop" : words[0].toUpperCase() + words.slice(1);
const switchOff = stop ? " Use the switch at the printer." : "";
const say = (text) =>
    node.send([null, {payload: `${name}: ${text}${switchOff}`, _client: msg._client}]);
if (reach === "broker") {
    say("not sent, because Node-RED is not connected to the broker.");
    return null;
}
if (reach === "bridge") {
    say("the bridge is offline" + (stop ? "." : ", so this was not sent."));
    if (!stop) return null;
}
const count = (context.get("count") || 0) + 1;
context.set("count", count);
const start = context.get("start") || Date.now().toString(36);
context.set("start", start);
const send = (topic, payload, more) =>
    node.send([{...more, topic: `printer/${topic}`, payload, qos: 1, retain: false}, null]);
const waiting = flow.get("waiting") || {};
flow.set("waiting", waiting);
const id = `node-red-${start}-${count}`;
waiting[id] = {name, client: msg._client};
const more = {responseTopic: msg.responseTopic, correlationData: msg.correlationData};
// After a minute, nobody wants it any more: a client repeats what the broker has not
// acknowledged when it connects again. A stop never expires.
const lifetime = stop ? {} : {issued_at: new Date().toISOString(), ttl: 60};
send(msg.topic, {...msg.payload, ...lifetime, id}, more);
setTimeout(() => {
    if (!(id in waiting)) return;
    // A command may take minutes. The answer to this takes none.
    waiting[`${id}-check`] = {};
    send("request/info", {id: `${id}-check`});
    setTimeout(() => {
        if (`${id}-check` in waiting) {
            say("the bridge does not answer; it may not have received this.");
            delete waiting[id];
        }
        delete waiting[`${id}-check`];
    }, WAIT);
}, WAIT);
return null;
