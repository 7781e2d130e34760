-- Back to an empty database.
DROP TABLE attempts;
DROP TABLE hand_overs;
DROP TABLE voicemail_labels;
DROP TABLE voicemails;
DROP TABLE audio_bytes;
DROP TABLE audios;
DROP TABLE create_requests;
DROP TABLE use_case_phone_numbers;
DROP TABLE use_cases;
DROP TABLE phone_numbers;
DROP TABLE setups;
DROP TABLE service_keys;
DROP TABLE workspaces;
