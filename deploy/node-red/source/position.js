// Where the head was when it was last reported; nothing while that is not known.
const time = (text) => new Date(text).toTimeString().slice(0, 8);
const at = ({x, y, z}, when) => `X ${x}  Y ${y}  Z ${z}  at ${time(when)}`;
if (msg.topic === "reply/node-red/position") {
    const answer = msg.payload;
    delete (flow.get("waiting") || {})[answer.id];
    if (String(msg.correlationData) !== flow.get("asked")) return null;
    if (answer.status !== "finished") return [null, {payload: answer.message}];
    return [{payload: answer.data ? at(answer.data, answer.time) : "not known"}, null];
}
const {reach, state} = msg.payload;
const known = reach === "all" && state && state.position;
const text = known ? at(known, known.time) : "\u2013";
if (text === context.get("text")) return null;
context.set("text", text);
return [{payload: text}, null];
