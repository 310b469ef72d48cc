-- Dead letters go by the place of their event and by their age, whatever their stream.
CREATE INDEX dead_letter_place ON dead_letter (place);
CREATE INDEX dead_letter_at ON dead_letter (at);
