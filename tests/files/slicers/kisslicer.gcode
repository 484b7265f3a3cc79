; KISSlicer - FREE
; Linux
; version 1.6.3 Release Linux64
; Built: May  4 2018, 18:10:35
; *** Printer Settings ***
; bed_size_x_mm = 100
; layer_thickness_mm = 0.25
; temperature_C = 210
; bed_C = 60
START_HEATING
; BEGIN_LAYER_OBJECT z=0.25
G1 X5 Y5 E1 F600
; END_LAYER_OBJECT z=0.25
; BEGIN_LAYER_OBJECT z=0.50
G1 X6 Y5 E2
; END_LAYER_OBJECT z=0.50
; Estimated Build Time:   332.83 minutes
; Estimated Build Volume: 0.008 cm^3
; Filament used per extruder:
;    Ext 1 =   1234.56 mm  (2.969 cm^3)
