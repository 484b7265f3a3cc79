// From a text that was typed to a command; the bridge checks the limits.
const {_client} = msg;
const target = Number(String(msg.payload).replace(",", "."));
if (!Number.isFinite(target)) {
    return [null, {payload: `"${msg.payload}" is not a temperature.`, _client}];
}
const command = "target";
if (msg.heater.startsWith("tool")) {
    return [{topic: "tool", payload: {command, targets: {[msg.heater]: target}}, _client}, null];
}
return [{topic: msg.heater, payload: {command, target}, _client}, null];
