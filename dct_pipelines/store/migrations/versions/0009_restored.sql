ALTER TABLE dct.intake_order
    ADD COLUMN restored_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN restored_to TIMESTAMP WITH TIME ZONE,
    ADD COLUMN restored_from UUID;
