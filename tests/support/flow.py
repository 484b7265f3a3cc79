"""The flow that we ship for Node-RED, put together from its readable parts.

``deploy/node-red/source`` has the code of its function and template nodes; here is
what they are connected to. The fields are those that Node-RED 4.1 and Dashboard 1.31
export.
"""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "deploy" / "node-red" / "source"

Node = dict[str, Any]

_INFO = (
    "gcode2mqtt: shows and controls a printer whose topics start with `printer`. Set "
    'the broker\'s address in the node "broker". If the printer has another topic, '
    "replace `printer/` in the file before the import."
)
_TOPICS = ("state", "connection", "availability", "job/state", "job/result")
_JSON = {"state", "temperature", "job/state", "job/result", "error", "response"}
_COLORS = (
    *("#d62728", "#ff9896", "#1f77b4", "#aec7e8", "#2ca02c", "#98df8a"),
    *("#ff7f0e", "#9467bd", "#c5b0d5"),
)
# name, label, icon, topic, payload, width: in the order of the outputs of `buttons.js`
_PRINT: tuple[tuple[str, str, str, str, Node], ...] = (
    ("start", "Start", "play-circle", "job", {"command": "start"}),
    ("pause", "Pause", "pause", "job", {"command": "pause"}),
    ("resume", "Resume", "play", "job", {"command": "resume"}),
)
_MOVE: tuple[tuple[str, str, str, str, Node], ...] = (
    (
        "x-minus",
        "X \N{MINUS SIGN}10",
        "arrow-left",
        "head",
        {"command": "jog", "x": -10},
    ),
    ("x-plus", "X +10", "arrow-right", "head", {"command": "jog", "x": 10}),
    (
        "y-minus",
        "Y \N{MINUS SIGN}10",
        "arrow-down",
        "head",
        {"command": "jog", "y": -10},
    ),
    ("y-plus", "Y +10", "arrow-up", "head", {"command": "jog", "y": 10}),
    (
        "z-minus",
        "Z \N{MINUS SIGN}1",
        "arrow-down-bold",
        "head",
        {"command": "jog", "z": -1},
    ),
    ("z-plus", "Z +1", "arrow-up-bold", "head", {"command": "jog", "z": 1}),
    ("home", "Home", "home", "head", {"command": "home", "axes": ["x", "y", "z"]}),
    ("motors", "Motors off", "engine-off", "head", {"command": "motors_off"}),
)


def flow() -> str:
    """Return the file ``deploy/node-red/flow.json``."""
    nodes = [*_settings(), *_shown(), *_controls(), *_sending()]
    return json.dumps(nodes, ensure_ascii=False, indent=2) + "\n"


def _node(
    name: str, kind: str, x: int, y: int, /, *wires: str, **fields: object
) -> Node:
    """Return a node of the tab; each wire is the targets of one output."""
    targets = [[f"g2m-{one}" for one in wire.split()] for wire in wires]
    place = {"id": f"g2m-{name}", "type": kind, "z": "g2m-tab", "x": x, "y": y}
    return {**place, "wires": targets, **fields}


def _function(name: str, title: str, x: int, y: int, *wires: str) -> Node:
    code = (SOURCE / f"{name}.js").read_text().rstrip("\n")
    fields = {"timeout": 0, "noerr": 0, "initialize": "", "finalize": "", "libs": []}
    return _node(
        name,
        "function",
        x,
        y,
        *wires,
        name=title,
        func=code,
        outputs=len(wires),
        **fields,
    )


def _template(
    name: str, title: str, x: int, y: int, wire: str, /, **fields: object
) -> Node:
    defaults: Node = {
        "group": "",
        "page": "",
        "ui": "",
        "order": 1,
        "width": "0",
        "height": "0",
        "head": "",
        "storeOutMessages": False,
        "passthru": False,
        "resendOnRefresh": True,
        "templateScope": "local",
        "className": "",
    }
    kind = "css" if name == "style" else "html"
    source = (SOURCE / f"{name}.{kind}").read_text().rstrip("\n")
    if name == "stop":
        defaults |= {"templateScope": "widget:ui", "ui": "g2m-base"}
    return _node(
        name,
        "ui-template",
        x,
        y,
        wire,
        name=title,
        format=source,
        **{**defaults, **fields},
    )


def _button(  # noqa: PLR0913, PLR0917 - a row of a table
    name: str,
    label: str,
    icon: str,
    topic: str,
    payload: Node,
    y: int,
    /,
    *,
    wire: str = "publish",
    **fields: object,
) -> Node:
    defaults: Node = {
        "emulateClick": False,
        "tooltip": "",
        "color": "",
        "bgcolor": "",
        "className": "",
        "icon": icon,
        "iconPosition": "left",
        "width": "2",
        "payload": json.dumps(payload),
        "payloadType": "json",
        "height": "1",
        "topic": topic,
        "topicType": "str",
        "buttonColor": "",
        "textColor": "",
        "iconColor": "",
        "enableClick": True,
        "enablePointerdown": False,
        "pointerdownPayload": "",
        "pointerdownPayloadType": "str",
        "enablePointerup": False,
        "pointerupPayload": "",
        "pointerupPayloadType": "str",
    }
    return _node(
        name,
        "ui-button",
        130,
        y,
        wire,
        name=label,
        label=label,
        **{**defaults, **fields},
    )


def _listener(topic: str, y: int, wire: str) -> Node:
    name = "in-" + topic.replace("/", "-")
    full = topic if topic.startswith("reply/") else f"printer/{topic}"
    datatype = "json" if topic in _JSON or topic.startswith("reply/") else "utf8"
    fields = {"nl": False, "rap": True, "rh": 0, "inputs": 0, "broker": "g2m-broker"}
    return _node(
        name,
        "mqtt in",
        130,
        y,
        wire,
        name=full,
        topic=full,
        qos="1",
        datatype=datatype,
        **fields,
    )


def _group(
    name: str, title: str, order: int, width: int, *, shown: bool = True
) -> Node:
    return {
        "id": f"g2m-group-{name}",
        "type": "ui-group",
        "name": title,
        "page": "g2m-page",
        "width": str(width),
        "height": "1",
        "order": order,
        "showTitle": shown,
        "className": "",
        "visible": True,
        "disabled": False,
        "groupType": "default",
    }


def _settings() -> list[Node]:
    broker: Node = {
        "id": "g2m-broker",
        "type": "mqtt-broker",
        "name": "broker",
        "broker": "localhost",
        "port": "1883",
        "clientid": "",
        "autoConnect": True,
        "usetls": False,
        "protocolVersion": "5",
        "keepalive": "15",
        "cleansession": True,
        "autoUnsubscribe": True,
        "userProps": "",
        "birthTopic": "",
        "birthQos": "0",
        "birthPayload": "",
        "birthMsg": {},
        "closeTopic": "",
        "closePayload": "",
        "closeMsg": {},
        "sessionExpiry": "",
        "willTopic": "",
        "willQos": "0",
        "willPayload": "",
        "willMsg": {},
    }
    base: Node = {
        "id": "g2m-base",
        "type": "ui-base",
        "name": "Dashboard",
        "path": "/dashboard",
        "includeClientData": True,
        "acceptsClientConfig": ["ui-notification", "ui-control"],
        "showPathInSidebar": False,
        "headerContent": "page",
        "navigationStyle": "none",
        "titleBarStyle": "fixed",
        "showReconnectNotification": True,
        "notificationDisplayTime": 5,
        "showDisconnectNotification": True,
    }
    theme: Node = {
        "id": "g2m-theme",
        "type": "ui-theme",
        "name": "Theme",
        "colors": {
            "surface": "#ffffff",
            "primary": "#0277bd",
            "bgPage": "#eeeeee",
            "groupBg": "#ffffff",
            "groupOutline": "#cccccc",
        },
        "sizes": {
            "pagePadding": "12px",
            "groupGap": "12px",
            "groupBorderRadius": "8px",
            "widgetGap": "12px",
            "density": "default",
        },
    }
    points = (
        ("Default", 0, 4),
        ("Tablet", 576, 8),
        ("Small Desktop", 768, 8),
        ("Desktop", 1024, 12),
    )
    page: Node = {
        "id": "g2m-page",
        "type": "ui-page",
        "name": "3D printer",
        "ui": "g2m-base",
        "path": "/printer",
        "icon": "printer-3d",
        "layout": "grid",
        "theme": "g2m-theme",
        "breakpoints": [
            {"name": name, "px": str(px), "cols": str(cols)}
            for name, px, cols in points
        ],
        "order": 1,
        "className": "",
        "visible": True,
        "disabled": False,
    }
    tab: Node = {"id": "g2m-tab", "type": "tab", "label": "3D printer"}
    return [
        {**tab, "disabled": False, "info": _INFO},
        *(broker, base, theme, page),
        _group("status", "Status", 1, 12, shown=False),
        _group("print", "Print", 2, 4),
        _group("heat", "Temperatures", 3, 4),
        _group("camera", "Camera", 4, 4),
        _group("chart", "Chart", 5, 8, shown=False),
        _group("move", "Move", 6, 4),
    ]


def _shown() -> list[Node]:
    """Return what is heard of the printer, and what shows it."""
    status = {"name": "the broker", "scope": ["g2m-in-availability"]}
    topics = (*_TOPICS, "error", "temperature")
    views = "status print heat buttons chart position"
    chart: Node = {
        "name": "Temperatures",
        "label": "",
        "order": 1,
        "chartType": "line",
        "group": "g2m-group-chart",
        "category": "series",
        "categoryType": "property",
        "xAxisLabel": "",
        "xAxisProperty": "x",
        "xAxisPropertyType": "property",
        "xAxisType": "time",
        "xAxisFormat": "",
        "xAxisFormatType": "auto",
        "xmin": "",
        "xmax": "",
        "yAxisLabel": "°C",
        "yAxisProperty": "y",
        "yAxisPropertyType": "property",
        "ymin": "0",
        "ymax": "",
        "bins": 10,
        "action": "append",
        "stackSeries": False,
        "pointShape": "false",
        "pointRadius": 2,
        "showLegend": True,
        "removeOlder": 1,
        "removeOlderUnit": "3600",
        "removeOlderPoints": "",
        "colors": list(_COLORS),
        "textColor": ["#888888"],
        "className": "",
        "textColorDefault": False,
        "gridColor": ["#88888844"],
        "width": "8",
        "gridColorDefault": False,
        "height": "5",
        "interpolation": "linear",
    }
    return [
        _node("broker-status", "status", 130, 40, "current", **status),
        *(_listener(topic, 80 + 40 * i, "current") for i, topic in enumerate(topics)),
        _function("current", "only what is true now", 380, 180, views),
        _template(
            *("status", "Status", 640, 60, "publish"),
            group="g2m-group-status",
            width="12",
        ),
        _template(
            *("print", "Print", 640, 100, ""), group="g2m-group-print", width="4"
        ),
        _template(
            *("heat", "Temperatures", 640, 140, "target"),
            group="g2m-group-heat",
            width="4",
        ),
        _template(
            *("camera", "Camera", 640, 180, ""),
            group="g2m-group-camera",
            width="4",
            height="4",
        ),
        _function("chart", "points of the chart", 640, 220, "temperatures"),
        _node("temperatures", "ui-chart", 860, 220, "", **chart),
        _template(
            "style", "Style", 860, 60, "", templateScope="site:style", ui="g2m-base"
        ),
    ]


def _controls() -> list[Node]:
    printing = {"group": "g2m-group-print", "width": "2"}
    jobs = [
        _button(*row, 400 + 40 * i, order=2 + i, **printing)
        for i, row in enumerate(_PRINT)
    ]
    cancel = _button(
        *("cancel", "Cancel", "stop", "", {}, 520),
        order=5,
        wire="sure",
        **{**printing, "payload": "Cancel the print?", "payloadType": "str"},
    )
    cool = _button(
        *("cool", "Cool down", "snowflake", "tool", {"command": "cool_down"}, 600),
        order=2,
        group="g2m-group-heat",
        width="4",
    )
    moves = [
        _button(*row, 640 + 40 * i, order=1 + i, group="g2m-group-move")
        for i, row in enumerate(_MOVE)
    ]
    ask = _button(
        *("ask", "Where is the head?", "crosshairs-question", "", {}, 980),
        order=9,
        group="g2m-group-move",
        width="4",
        wire="question",
    )
    text: Node = {
        "group": "g2m-group-move",
        "order": 10,
        "width": "4",
        "height": "1",
        "name": "Position",
        "label": "Position",
        "format": "{{msg.payload}}",
        "layout": "row-spread",
        "style": False,
        "font": "",
        "fontSize": 16,
        "color": "#717171",
        "wrapText": False,
        "className": "",
        "value": "payload",
        "valueType": "msg",
    }
    moving = " ".join(["cool", *(row[0] for row in _MOVE)])
    outputs = ("start", "pause", "resume", "cancel", moving)
    return [
        _function("buttons", "which buttons work now", 380, 340, *outputs),
        *(*jobs, cancel, cool, *moves, ask),
        _function("question", "ask, and remember", 380, 980, "publish"),
        _listener("reply/node-red/position", 1020, "position"),
        _function("position", "where the head is", 640, 1020, "at", "notice"),
        _node("at", "ui-text", 860, 1020, **text),
    ]


def _notification(
    name: str, title: str, x: int, y: int, /, *wires: str, **more: object
) -> Node:
    fields: Node = {
        "ui": "g2m-base",
        "position": "top right",
        "colorDefault": True,
        "color": "#000000",
        "displayTime": "10",
        "showCountdown": True,
        "outputs": 1,
        "allowDismiss": True,
        "dismissText": "Close",
        "allowConfirm": False,
        "confirmText": "Confirm",
        "raw": False,
        "className": "",
    }
    return _node(
        name, "ui-notification", x, y, *wires, name=title, **{**fields, **more}
    )


def _sending() -> list[Node]:
    """Return how commands are sent, and what is said of those that failed."""
    out: Node = {
        "name": "commands",
        "topic": "",
        "qos": "",
        "retain": "",
        "respTopic": "",
        "contentType": "",
        "userProps": "",
        "correl": "",
        "expiry": "",
        "broker": "g2m-broker",
    }
    return [
        _template("stop", "Emergency stop", 130, 1100, "publish"),
        _function("target", "target", 380, 140, "publish", "notice"),
        _notification(
            *("sure", "Cancel the print?", 380, 520, "confirmed"),
            allowConfirm=True,
            confirmText="Cancel the print",
            dismissText="Keep printing",
            displayTime="30",
            position="center center",
        ),
        _function("confirmed", "only if confirmed", 560, 520, "publish"),
        _function(
            "publish", "send, and watch for the response", 640, 700, "out", "notice"
        ),
        _node("out", "mqtt out", 880, 700, **out),
        _listener("response", 1180, "refused"),
        _function("refused", "what was not done", 380, 1180, "notice"),
        _notification("notice", "what was not done", 640, 1180, ""),
    ]
