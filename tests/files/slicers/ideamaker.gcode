;Sliced by ideaMaker 4.1.0.4990, 2021-06-07 08:09:10 UTC+0000
;Dimension: 305.000 305.000 305.000 0.400 0.400
;Plate Shape: 0
;Filament Diameter #1: 1.750
;Filament Diameter #2: 1.750
;Filament Type #1: PLA
;Filament Type #2: PVA
;Bounding Box: 100.0 120.0 100.0 120.0 0.0 20.0
M140 S60
M104 T0 S205
G28
;LAYER:0
;Z:0.300
;HEIGHT:0.300
;PRINTING: cube.stl
;PRINTING_ID: 0
G1 X100 Y100 E1 F900
;LAYER:1
;Z:0.500
;HEIGHT:0.200
G1 X101 Y100 E2
;REMAINING_TIME: 0
;Print Time: 4321
;Material#1 Used: 868.0
;Material#2 Used: 12.5
