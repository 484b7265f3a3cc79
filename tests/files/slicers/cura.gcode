;FLAVOR:Marlin
;TIME:6666
;Filament used: 1.5234m, 0.25m
;Layer height: 0.2
;MINX:86.1
;MINY:86.1
;MINZ:0.2
;MAXX:133.9
;MAXY:133.9
;MAXZ:20.2
;TARGET_MACHINE.NAME:Creality Ender-3
;Generated with Cura_SteamEngine 5.4.0
M140 S55
M104 S195.5
;LAYER_COUNT:101
;LAYER:0
;MESH:cube.stl
G0 F6000 X90 Y90 Z0.2
;MESH:NONMESH
G0 F300 X90 Y90 Z0.4
;TIME_ELAPSED:40.25
;LAYER:1
;MESH:lid.stl
G1 F1500 X95 Y95 E1
;TIME_ELAPSED:99.5
;End of Gcode
;SETTING_3 {"global_quality": "[general]\\nversion = 4\\n"}
