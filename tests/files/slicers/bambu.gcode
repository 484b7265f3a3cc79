; HEADER_BLOCK_START
; BambuStudio 01.09.00.70
; model printing time: 1h 20m 5s; total estimated time: 1h 27m 40s
; total layer number: 120
; total filament length [mm] : 4031.26,120.5
; total filament volume [cm^3] : 9696.31,289.84
; total filament weight [g] : 12.02,0.36
; max_z_height: 24.00
; filament: 1,3
; HEADER_BLOCK_END
; CONFIG_BLOCK_START
; curr_bed_type = Cool Plate
; cool_plate_temp_initial_layer = 35,35,35
; filament_type = PLA;ABS;PETG
; initial_layer_print_height = 0.25
; layer_height = 0.2
; CONFIG_BLOCK_END
M140 S35
M104 S220
G28
; CHANGE_LAYER
; Z_HEIGHT: 0.25
; LAYER_HEIGHT: 0.25
G1 X100 Y100 E1
; CHANGE_LAYER
; Z_HEIGHT: 0.45
; LAYER_HEIGHT: 0.2
G1 X110 Y100 E1
