"""The table of codes: one row for each code, and for each family where they differ.

The columns are the families, the codes, their facts and what they do. The facts come
from the documents that :data:`bridge.gcode.codes.SYNTAXES` names for each family, and
from the logs in tests/transcripts. A family is one letter: ``m`` Marlin 2, ``1``
Marlin 1, ``p`` Prusa, ``k`` Klipper, ``d`` RepRapFirmware (Duet), ``r`` Repetier, ``s``
Smoothieware, ``t`` Teacup, ``y`` Malyan. The facts name fields of
:class:`bridge.gcode.codes.Code` and members of its enumerations:

* ``straight``, ``home``, ``fan``, ``start``, ``display`` …: a member;
* ``long``, ``reads``, ``target`` …: a field that is true;
* ``heats=S:tool,R:tool``: letters and the heaters whose targets they are;
* ``by=E:-1=bed,-2=chamber:tool``: the letter that selects the heater, the numbers that
  are not tools, and the heater of all others;
* ``blocked=M28``, ``refused=M92``: the reason, from :data:`REASONS`;
* ``must=SR``: letters of which it must have one; ``must=H,B``: both;
* ``pairs=F:B``: with the first letter it must have the second;
* ``harmless=PS``: with no other letters than these it is not refused.
"""

REASONS = {
    "M0": "waits until somebody presses the button at the printer",
    "M28": "writes all lines that follow into a file",
    "M500": "overwrites the printer's stored settings",
    "M502": "resets the printer's settings to the defaults",
    "M997": "starts a firmware update",
    "M999": "restarts a printer that was stopped by an error",
    "G20": "inches would change the meaning of every later move and limit; "
    "the bridge uses millimetres",
    "G53": "moves to X, Y and Z in machine coordinates in some builds, as the last "
    "move did",
    "G93": "changes what the numbers after F mean in every later move",
    "G76": "heats the bed and the hotend to temperatures that the firmware chooses",
    "M37": "later lines would be simulated, not carried out",
    "M42": "can switch the pin of a heater",
    "M106": "drives a heater with the power S and without a temperature, if P is its "
    "number",
    "M140": "assigns other heaters to the bed or the chamber",
    "M92": "changes the steps per millimetre, and so how far every later move goes",
    "M143": "changes the highest temperatures that the firmware itself allows",
    "M144": "lets the bed heat to its standby temperature",
    "M149": "another unit would change the meaning of every later target, limit and "
    "report; the bridge uses degrees Celsius",
    "M200": "changes what the numbers after E mean in every later move",
    "M206": "shifts the coordinates, so that all later numbers mean other places",
    "M209": "turns moves of E into retractions of other lengths",
    "M211": "turns the printer's own axis limits off, or changes them",
    "M226": "waits for a pin, perhaps forever, and a printer without an emergency "
    "parser does not read a stop meanwhile",
    "M253": "reads or writes the firmware's memory",
    "M305": "changes what a temperature sensor measures, and so what targets mean",
    "M306": "heats the hotend to a temperature that the firmware chooses",
    "M510": "later lines would not be carried out",
    "M505": "changes which files the printer runs",
    "M551": "changes the printer's network or its passwords",
    "M558": "changes the probe, or the pin at which it detects the bed",
    "M562": "makes the printer heat again after a heater fault",
    "M563": "changes which heaters belong to which tool or pin",
    "M570": "changes how the firmware monitors its heaters",
    "M575": "changes the baud rate; then no line, not even a stop, would be read",
    "M584": "changes which motors move an axis, and in which direction",
    "M592": "makes later moves extrude more than they say",
    "M605": "gives another hotend a different temperature than the one that is checked",
    "M810": "stores G-code that runs later, without being checked",
    "M915": "moves the z axis beyond its end in order to align it",
    "M928": "writes lines into a file",
    "M951": "changes where the head goes when it changes the tool",
    "M993": "copies or overwrites the firmware's memory",
    "M1000": "runs a shell command on the printer",
    "INIT_TMC": "writes into the chips that drive the motors",
    "FORCE_MOVE": "moves motors, or changes positions, past every limit",
    "TUNING_TOWER": "runs other commands with numbers that are not checked",
}
"""Why codes are blocked or refused by default."""

CODES = """
all       | G0 G1        | straight         | move
m1pkdrsy  | G2 G3        | arc              | move along an arc
md        | G5           | arc              | move along a curve
all       | G4           | long dwell       | dwell
m         | G6           | anywhere refused=FORCE_MOVE | move motors by steps
m1pkrs    | G10          | anywhere         | retract
m1pkdrs   | G11          | anywhere         | undo a retraction
d | G10 | target lists heats=S:tool,R:tool tool=P | set a tool's temperature
m         | G12          | anywhere long    | clean the nozzle
m1pkdrs   | G17 G18 G19  |                  | select the plane of arcs
all       | G20          | refused=G20      | use inches
all       | G21          |                  | use millimetres
m | G26 | anywhere long must=H,B heats=H:tool,B:bed preset=I | print a mesh test
m         | G27          | anywhere         | park the head
all       | G28          | home long        | home
s         | G28.1        |                  | save the place to park
s         | G28.2        | anywhere long    | home or park
s         | G28.3 G28.4 G92.4 | anywhere         | set the machine's position
s         | G28.5        | anywhere         | forget that axes are homed
s         | G28.6        | reads            | report which axes are homed
m1pkdrs   | G29          | anywhere long    | probe the bed
m1pdrs    | G30          | anywhere long    | probe a point
m1pdrs    | G31          |                  | dock the probe or report it
m1pdrs    | G32          | anywhere long    | probe several points
m1pdr     | G33          | anywhere long    | calibrate a delta
m         | G34          | anywhere long    | align the z axis
m         | G35          | anywhere long    | measure the bed's corners
mds       | G38 G38.2 G38.3 G38.4 G38.5 | anywhere long    | probe towards a place
m         | G42          | anywhere         | move to a mesh point
md        | G53          | anywhere refused=G53 harmless= | use machine coordinates
mds | G54 G55 G56 G57 G58 G59 G59.1 G59.2 G59.3 | anywhere | select a workspace
md        | G60          | anywhere         | save the position
md        | G61          | anywhere         | return to a saved position
s         | G43 G43.1 G43.2 | refused=M206     | set the length of a tool
s         | G49          | anywhere         | clear the length of a tool
d         | G68 G69      | refused=M206 harmless= | rotate the coordinates
p         | G75          | anywhere long    | print temperature calibration
mp | G76 | anywhere long refused=G76 | calibrate the probe for temperature
p         | G80          | anywhere long    | probe the bed
p         | G81          | reads            | report the mesh
p         | G82 G83 G84 G85 G86 G87 G88 | anywhere         | calibrate the bed
all       | G90          | absolute         | absolute axes
all       | G91          | relative         | relative axes
all       | G92          | sets             | set the position
d         | G93          | refused=G93      | feedrates as times
d         | G94          |                  | feedrates as speeds
mds       | G92.1 G92.2 G92.3 | anywhere         | reset the offsets
t         | G161 G162    | anywhere long    | home to one end
r         | G131 G132 G133 G134 G135 | anywhere         | calibrate
r         | G201 G202 G203 G204 G205 | anywhere uncovered | control a motor
m         | G425         | anywhere long    | calibrate with a cube
m1py      | M0 M1        | asks wait long blocked=M0 | wait for the user
krst      | M0 M1        | asks long blocked=M0  | stop, or wait for the user
d         | M0 M1        | anywhere cancel long blocked=M0 | end a print, or sleep
t         | M2           |                  | end the program
m1pdrs    | M3 M4 M5     |                  | spindle or laser
md        | M6           | anywhere         | change the tool
t         | M6           | long             | wait for the temperatures
m1pdrs    | M7 M8 M9     |                  | coolant
md        | M10 M11      |                  | vacuum
m         | M16          | text             | check the printer's name
all       | M17 M18 M84  |                  | turn the motors on or off
all       | M20          | reads            | list the SD card
all       | M21          |                  | mount the SD card
all       | M22          | release          | unmount the SD card
all       | M23          | file             | select a file
all       | M24          | anywhere start   | start or resume a print
all       | M25          | anywhere pause   | pause a print
all       | M26          | seek             | go to a byte of the file
m1p       | M27          | reads interval   | report a print's progress
kdrsty    | M27          | reads            | report a print's progress
all       | M28          | file blocked=M28 | start writing a file
all       | M29          |                  | stop writing a file
all       | M30          | file             | delete a file
m1pdrsy   | M31          | reads            | report the print time
m1pdrsy   | M32          | anywhere open uncovered file | select and start a file
m         | M33          | file reads       | report a file's long name
m         | M34          |                  | sort the files
d         | M36          | file reads       | report on a file
d         | M37          | refused=M37      | simulate
d         | M38          | file reads       | report a file's checksum
d         | M39          | reads            | report on the SD card
m1prs     | M42          | refused=M42 harmless=MPST | set a pin
d         | M42          |                  | set a pin
mp        | M43          | reads refused=M42 harmless=EP | report pins
p         | M44 M45 M46 M47 | anywhere long    | calibrate, or report on it
m1ps      | M48          | anywhere long    | measure the probe
all       | M73          | progress         | set the progress
m1p       | M75 M76 M77  |                  | print timer
mp        | M78          | reads            | report statistics
m1p       | M79          |                  | set the host's status
m1pdrs    | M80 M81      |                  | power supply
all       | M82          | absolute_e       | absolute extruder
all       | M83          | relative_e       | relative extruder
m1pdrs    | M85          |                  | set the idle timeout
m  | M86 | heats=B:bed,E:tool,T:tool | set the idle temperatures
1pdrs     | M86          |                  | set the idle timeout
m1pdrst   | M92          | refused=M92 harmless= | set the steps per millimetre
d         | M98          | anywhere long uncovered quoted=P | run a macro
m         | M100         | reads            | report the memory
t         | M101 M102 M103 | uncovered        | extruder on or off
m1py | M104 | target pairs=F:B heats=S:tool,R:tool,B:tool tool=T preset=I | heat a tool
kdrs | M104 | target heats=S:tool,R:tool,B:tool tool=T preset=I | heat a tool
t | M104 | target must=SR heats=S:tool,R:tool,B:tool by=P::any tool=T | heat a tool
all       | M105         | reads tool=T     | report the temperatures
m1pkdrsy  | M106         | fan              | set a fan
t         | M7           | refused=M106 harmless=S | set a fan
t         | M106         | fan refused=M106 harmless=S | set a fan
all       | M107         | fan_off          | turn a fan off
m1pdry    | M108         | urgent answers   | stop waiting
m1py | M109 | target long pairs=F:B heats=S:tool,R:tool,B:tool tool=T preset=I | heat up
kdrs | M109 | target long heats=S:tool,R:tool,B:tool tool=T preset=I | heat up and wait
t | M109 | target long must=SR heats=S:tool,R:tool,B:tool by=P::any tool=T | heat up
all       | M110         |                  | set the line number
m1pdrst   | M111         |                  | debug
all       | M112         | emergency        | stop the machine
m1p       | M113         |                  | set the keepalive interval
t         | M113         |                  | set the extruder's PWM
all       | M114         | reads            | report the position
s         | M114.1 M114.2 M114.3 M114.4 | reads            | report the position
all       | M115         | reads            | report the firmware
m1pkdrt   | M116         | long             | wait for all heaters
m1pkdrsy  | M117         | display          | show a text
m1pky     | M118         | echo             | send a text back
d         | M118         | quoted=SLP       | send a text
all       | M119         | reads            | report the end stops
m1p       | M120 M121    |                  | turn the end stops on or off
ds        | M120 M121    | anywhere         | save or restore the modes
md        | M122         | reads            | report diagnostics
m         | M123         | reads            | report the fans
mp        | M125         | anywhere         | park and pause
t         | M130 M131 M132 M133 M134 |                  | PID of a heater
t         | M135 M136    |                  | report a heater
m1pkrsy   | M140         | target heats=S:bed,R:bed preset=I | set the bed temperature
d | M140 | target refused=M140 harmless=PRS heats=S:bed,R:bed | set the bed temperature
t         | M140         | target must=SR heats=S:bed,R:bed | set the bed temperature
m1pkrsty | M141 | target heats=S:chamber,R:chamber | set the chamber temperature
d | M141 | target refused=M140 harmless=PRS heats=S:chamber,R:chamber | set its target
ds        | M143         | refused=M143 harmless= | set the highest temperatures
d         | M144         | refused=M144     | bed to standby
m1p       | M145         | heats=H:tool,B:bed,C:chamber | set a preset's temperatures
m1p       | M149         | refused=M149 harmless=C | set the unit of temperatures
m1pkd     | M150         |                  | set a light
m         | M154         | interval         | report the position regularly
m1p       | M155         | interval         | report temperatures regularly
r         | M155         |                  | report temperatures regularly
r         | M161 M170 M171 |                  | brake and case
m1r       | M163 M164 M165 |                  | mix filaments
m1pkrsty | M190 | target long heats=S:bed,R:bed preset=I | heat the bed and wait
d | M190 | target long refused=M140 harmless=PRS heats=S:bed,R:bed | heat the bed, wait
m1pkrsty | M191 | target long heats=S:chamber,R:chamber | heat the chamber, wait
d | M191 | target long refused=M140 harmless=PRS heats=S:chamber,R:chamber | heat, wait
mk        | M192 M193    | long             | wait for a probe or cooler
m1pkdrs   | M200         |                  | set the filament's diameter
m1pkdrs   | M201 M203 M204 |                  | set accelerations and feedrates
r         | M205 M360    | reads            | report the settings
m1pds     | M205 M566    |                  | set the jerk
m1pds     | M206 M428    |                  | set home offsets
r         | M206         | refused=M206     | write a setting
m1pds     | M207         |                  | set the retraction
m1pds     | M209         | refused=M209 harmless= | retract by moves of E
m1ps      | M208         |                  | set the recovery
d         | M208         | refused=M211 harmless= | set the axis limits
m1ps      | M211         | refused=M211 harmless= | turn axis limits on or off
m         | M217         |                  | set the tool change
m1pd      | M218         |                  | set a tool's offset
all       | M220         | speed            | set the speed factor
all       | M221         | flow tool=T      | set the flow factor
m1pr      | M226         | asks long refused=M226 harmless= | wait for a pin
d         | M226         | asks long        | pause a print
mpr       | M232 M234    | reads            | report
m         | M240         | anywhere         | take a photograph
1pkd      | M240         |                  | take a photograph
t         | M240 M241    |                  | echo on or off
m1pd      | M250 M255 M256 |                  | set the display
t         | M250         | reads            | report the position
r         | M251 M281    |                  | measure
t         | M253 M254    | refused=M253     | read or write memory
md        | M260 M261    |                  | use the I2C bus
m1pdrs    | M280         |                  | set a servo
m         | M281 M282    |                  | set up a servo
m1pd      | M290         | anywhere         | babystep
d         | M291         | quoted=PRST long | show a message
d         | M292         |                  | answer a message
m1pkd     | M300         |                  | beep
m1pdrs    | M301 M304    |                  | set the PID of a heater
m1pdr     | M302         |                  | set the extrusion temperature
m1py | M303 | long must=S cycles=CR heats=S:tool by=E:-1=bed,-2=chamber:tool | tune PID
d | M303 | long bare must=S cycles=CR heats=S:tool by=H:0=bed:tool | tune PID
r | M303 | long must=S cycles=CR heats=S:tool by=P:0=tool:any | tune PID
st | M303 | long must=S cycles=CR heats=S:tool by=E:0=tool:any | tune PID
m1pdrs    | M305         | refused=M305 harmless= | set a temperature sensor
m         | M306         | long refused=M306 harmless=ACEFHPR | tune a heater's model
s         | M306         | refused=M206 harmless= | set home offsets
d         | M563 M950    | refused=M563 harmless= | set up tools or pins
d         | M307         | refused=M563 harmless=H | set up a heater
d         | M308         | refused=M305 harmless=S | set a temperature sensor
p | M310 | long refused=M306 harmless=BCDEFIPRSTUVW | tune a heater's model
r         | M320 M321 M322 M323 | anywhere         | level the bed
r         | M340         |                  | set a servo
p         | M330 M331 M332 M333 |                  | send metrics
p         | M74 M142 M555 M591 |                  | describe the print
m1pdrs    | M350 M351    | refused=M92 harmless= | set the microsteps
m1pkdr    | M355         |                  | set the case light
mp        | M360         | reads            | report the configuration
s         | M370 M371 M372 M373 M374 M375 M376 M561 | anywhere         | level the bed
d         | M374 M375 M376 M557 M561 | anywhere         | set up the bed's mesh
m         | M380 M381    |                  | solenoid
all       | M400         | long             | wait for all moves
m1pdr     | M401 M402    | anywhere         | deploy or stow the probe
mp        | M403         | anywhere         | set the filament's kind
m1p       | M404         | refused=M200 harmless= | set the filament's width
m         | M405 M406 M407 |                  | measure the filament's width
d         | M408 M409    | reads            | report as JSON
m1pdry    | M410         | anywhere urgent  | stop all moves
m         | M412 M413 M591 |                  | monitor filament and power
m         | M414         |                  | set the language
m1pk      | M420 M421 M422 M423 |                  | set the levelling
m         | M425 M430    |                  | set backlash, power monitor
d         | M470 M550    | quoted=PST       | set the name, make a folder
d | M471 M472 M505 M559 M560 | quoted=PST refused=M505 | change files
mp        | M486         | quoted=A         | cancel an object
kd        | M486         |                  | cancel an object
m         | M493 M494    |                  | set the motion
m1pdrs    | M500         | blocked=M500     | store the settings
m1pdrs    | M501         |                  | restore the stored settings
m1pdrs    | M502         | blocked=M502     | reset the settings
m1pdrsy   | M503         | reads            | report the settings
ms        | M504         |                  | check or name the settings
m         | M510 M512    | refused=M510     | lock, or set a password
m         | M511         |                  | unlock
m         | M524         | anywhere cancel  | cancel a print
r         | M530 M532    |                  | report that a print runs
r         | M531         | display          | name a print
m         | M540         |                  | set when end stops stop a print
d         | M551 M586 M587 M588 M589 | quoted=PS refused=M551 | set up the network
d         | M552 M553 M554 M555 |                  | report on the network
ds        | M556 M579    | refused=M206 harmless= | skew or scale the axes
s         | M557         |                  | set points to probe
d         | M558         | refused=M558 harmless=ABFHIKRST | set up the probe
d         | M585         | anywhere long refused=M206 harmless= | measure a tool
d         | M562         | refused=M562     | clear a heater fault
d         | M564         | refused=M211 harmless= | turn axis limits on or off
d | M568 | target lists heats=S:tool,R:tool tool=P | set a tool's temperature
m         | M569         |                  | set the motors' mode
d         | M584         | refused=M584 harmless= | set up motors
d         | M569         | refused=M584 harmless=P | set up a motor
d         | M570         | refused=M570 harmless= | set the monitoring of heaters
d         | M574         | refused=M206 harmless= | set up end stops
d         | M571 M670    |                  | set an output
m1pkdrs   | M572 M900    |                  | set the pressure advance
d         | M573         | reads            | report a heater
m1dr      | M575         | refused=M575 harmless= | set the baud rate
m         | M576         | reads            | report the buffers
d         | M581 M582 M911 | quoted=P refused=M810 | set what runs at an event
m         | M587         | quoted=PS refused=M551 | set up the network
d | M591 M594 M595 M597 M598 |  | set filament sensor, queues
d         | M596         | anywhere         | select another queue of moves
mp        | M592         | refused=M592 harmless=S | set nonlinear extrusion
d         | M592         | refused=M592 harmless=D | set nonlinear extrusion
mpd       | M593         |                  | set the input shaping
m1p | M600 | asks anywhere long heats=R:tool tool=T | change the filament
kdrs      | M600         | asks anywhere long    | change the filament
dp        | M601         | anywhere pause   | pause a print
p         | M602         | anywhere resume  | resume a print
s         | M601         | anywhere resume  | resume a print
mp        | M603 M604    |                  | set the filament change
m         | M605         | refused=M605 harmless=S | set the mode of two carriages
d         | M606         |                  | fork the input
m1pds     | M665 M666    | refused=M206 harmless= | set the geometry
ds        | M669         | refused=M206 harmless= | set the kinematics
m         | M672         |                  | set up a sensor
m         | M951         | refused=M951 harmless= | set up parking extruders
m1pkdrs   | M701 M702    | anywhere long    | load or unload filament
d         | M703         | anywhere long    | configure a filament
mp        | M704 M705 M706 M707 M708 | anywhere long    | control the MMU
m         | M709         | anywhere long    | reset the MMU
m         | M710         |                  | set the controller's fan
m         | M808         |                  | repeat a part of a file
m         | M810 M811 M812 M813 M814 | text refused=M810 | store a macro
m         | M815 M816 M817 M818 M819 | text refused=M810 | store a macro
p         | M850         | reads            | report on a steel sheet
m1pk      | M851         |                  | set the probe's offset
m         | M852         | refused=M206 harmless= | set the skew
mp        | M860         | long             | wait for the probe
m1p       | M861 M871    |                  | set the probe's corrections
p | M862 M862.1 M862.2 M862.3 M862.4 | quoted=PQT reads | check the printer
p | M862.5 M862.6 M862.7 | quoted=PQT reads | check the printer
m1pdry    | M876         | urgent answers   | answer a prompt
mpds      | M906 M907 M908 |                  | set the motors' currents
1r        | M907 M908    |                  | set the motors' currents
m         | M909 M910 M911 M912 |                  | report on the motors' drivers
p         | M910 M911 M912 M913 M914 M915 |                  | set the motors' drivers
p         | M916 M917 M918 M919 |                  | set the motors' drivers
s         | M910 M911    |                  | set the motors' drivers
md        | M913 M914 M919 |                  | set the motors' drivers
d         | M915         |                  | set the motors' drivers
m         | M915         | anywhere long refused=M915 | align the z axis
m1p       | M928         | file refused=M928 | log lines into a file
d         | M929         | quoted=P         | log events
m         | M993 M994    | refused=M993     | copy the firmware's memory
m1pdr     | M997         | long blocked=M997 | update the firmware
all       | M999         | blocked=M999     | restart after an error
m         | M1000        | anywhere long    | resume after a power loss
s         | M1000        | text refused=M1000 | run a shell command
p | M1600 M1601 M1700 M1701 | refused=M306 anywhere asks long | preheat, load
p | M1702 M1703 M1704 | refused=M306 anywhere asks long | load filament
m         | M7219        |                  | set a light
all       | T            | tool             | select a tool
d         | T-1          | anywhere         | select no tool
mp        | T? Tc Tx     | anywhere long    | load with the MMU
"""
"""The codes of the RepRap dialects."""

NAMES = """
k | STATUS HELP GET_POSITION QUERY_ADC QUERY_ENDSTOPS QUERY_PROBE | reads | report
k | QUERY_FILAMENT_SENSOR GET_RETRACTION DUMP_TMC ACCELEROMETER_QUERY | reads | report
k         | GET_CURRENT_SKEW BED_MESH_OUTPUT BED_MESH_MAP | reads            | report
k         | FIRMWARE_RESTART RESTART | anywhere         | restart the firmware
k | SET_HEATER_TEMPERATURE | target heats=TARGET:tool by=HEATER::tool | set a heater
k | PID_CALIBRATE MPC_CALIBRATE | long heats=TARGET:tool by=HEATER::tool | tune a heater
k         | TURN_OFF_HEATERS | cools            | turn all heaters off
k         | SET_TEMPERATURE_FAN_TARGET SET_FAN_SPEED |                  | set a fan
k         | TEMPERATURE_WAIT | long             | wait for a temperature
k         | PAUSE        | anywhere pause long | pause a print
k         | RESUME       | anywhere resume long | resume a print
k         | CANCEL_PRINT | anywhere cancel long | cancel a print
k         | SDCARD_PRINT_FILE | anywhere open uncovered long | print a file
k | SDCARD_RESET_FILE CLEAR_PAUSE SET_PRINT_STATS_INFO |  | note about a print
k         | EXCLUDE_OBJECT EXCLUDE_OBJECT_DEFINE |                  | cancel an object
k | EXCLUDE_OBJECT_START EXCLUDE_OBJECT_END |  | cancel an object
k         | SET_PRESSURE_ADVANCE |                  | set the pressure advance
k | SET_INPUT_SHAPER SET_VELOCITY_LIMIT SET_RETRACTION |  | set the motion
k         | SET_SKEW SKEW_PROFILE | refused=M206     | set the skew
k | SET_PIN SET_SERVO SET_LED SET_LED_TEMPLATE |  | set an output
k         | SET_DISPLAY_TEXT SET_DISPLAY_GROUP |                  | set the display
k         | RESPOND      |                  | send a text
k | SET_IDLE_TIMEOUT SET_FILAMENT_SENSOR SET_STEPPER_ENABLE |  | set a switch
k         | SET_TMC_CURRENT |                  | set a motor's current
k | SAVE_VARIABLE SET_GCODE_VARIABLE PID_PROFILE |  | set a variable
k | BED_MESH_CALIBRATE QUAD_GANTRY_LEVEL Z_TILT_ADJUST | anywhere long | level the bed
k         | BED_TILT_CALIBRATE SCREWS_TILT_CALCULATE | anywhere long    | level the bed
k | BED_SCREWS_ADJUST BED_MESH_CLEAR BED_MESH_PROFILE | anywhere long | level the bed
k         | PROBE PROBE_ACCURACY PROBE_CALIBRATE MANUAL_PROBE | anywhere long    | probe
k         | TESTZ ACCEPT ABORT ADJUSTED BLTOUCH_DEBUG | anywhere long    | probe
k         | Z_ENDSTOP_CALIBRATE ENDSTOP_PHASE_CALIBRATE | anywhere long    | calibrate
k | DELTA_CALIBRATE DELTA_ANALYZE | anywhere long | calibrate
k | AXIS_TWIST_COMPENSATION_CALIBRATE | anywhere long | calibrate
k | SHAPER_CALIBRATE TEST_RESONANCES MEASURE_AXES_NOISE | anywhere long | calibrate
k         | LOAD_FILAMENT UNLOAD_FILAMENT | anywhere long    | change the filament
k         | SAVE_CONFIG  | anywhere long    | store the settings and restart
k         | ACTIVATE_EXTRUDER SET_DUAL_CARRIAGE | anywhere         | change the tool
k | SAVE_GCODE_STATE RESTORE_GCODE_STATE SET_GCODE_OFFSET | anywhere | set the modes
k | SYNC_EXTRUDER_MOTION MANUAL_STEPPER STEPPER_BUZZ | anywhere uncovered | move a motor
k | Z_OFFSET_APPLY_PROBE Z_OFFSET_APPLY_ENDSTOP | | note an offset
k         | BED_MESH_OFFSET | anywhere         | shift the mesh
k | FORCE_MOVE SET_KINEMATIC_POSITION | refused=FORCE_MOVE | move past the limits
k | SET_EXTRUDER_ROTATION_DISTANCE | refused=M92 | set the steps
k | SET_EXTRUDER_STEP_DISTANCE | refused=M92 | set the steps
k | INIT_TMC SET_TMC_FIELD DEBUG_WRITE | refused=INIT_TMC | set the motors' drivers
k | TUNING_TOWER UPDATE_DELAYED_GCODE | refused=TUNING_TOWER | run other commands
k         | RUN_SHELL_COMMAND | refused=M1000    | run a program
"""
"""Klipper's extended commands."""
