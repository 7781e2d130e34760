-- Back to one voicemail a call.
DROP TABLE batch_members;
DROP TABLE batches;
