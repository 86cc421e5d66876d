# SPDX-License-Identifier: MIT
# Whole files, read and written.
package Files;

use strict;
use warnings;
use Exporter qw(import);

our @EXPORT_OK = qw(slurp spew);

sub slurp {
	my ($file) = @_;

	open my $in, '<', $file or die "$file: $!\n";
	local $/;
	return scalar <$in>;
}

sub spew {
	my ($file, $text) = @_;

	open my $out, '>', $file or die "$file: $!\n";
	print $out $text;
	close $out or die "$file: $!\n";
}

1;
