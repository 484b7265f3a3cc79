"""The templates that come with us, which the tag ``snippet`` includes."""

from collections.abc import Mapping

SNIPPETS = "snippets/"
"""Where such templates are, by name."""

BUNDLED: Mapping[str, str] = {
    "snippets/disable_hotends": (
        "{% if printer_profile.extruder.sharedNozzle %}\n"
        "M104 T0 S0\n"
        "{% else %}\n"
        "{% for tool in range(printer_profile.extruder.count) %}\n"
        "M104 T{{ tool }} S0\n"
        "{% endfor %}\n"
        "{% endif %}\n"
    ),
    "snippets/disable_bed": "{% if printer_profile.heatedBed %}M140 S0{% endif %}",
    "snippets/disable_chamber": (
        "{% if printer_profile.heatedChamber %}M141 S0{% endif %}"
    ),
}
