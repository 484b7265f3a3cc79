// The notification says which of its buttons was pressed.
if (msg.payload !== "confirm_clicked") return null;
return {topic: "job", payload: {command: "cancel"}, _client: msg._client};
