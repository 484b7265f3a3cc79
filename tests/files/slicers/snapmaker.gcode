;Header Start
;header_type: 3dp
;estimated_time(s): 754
;thumbnail: data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==
;Header End
G28
G1 X5 F600
