// Every message has one response; the bridge says why it has not done something. Whoever
// pressed the button sees it; a command that did not come from here is shown to everybody.
const {id, status, command, topic, message} = msg.payload;
const waiting = flow.get("waiting") || {};
const ours = waiting[id] || {};
delete waiting[id];
if (status === "finished") return null;
return {payload: `${ours.name || command || topic}: ${message}`, _client: ours.client};
